"""The process that keeps all folders of one SYNCLINE_HOME in sync, and how commands talk with it.

``place``, ``asking`` and the command's quick road import next to nothing: a command that only asks the daemon shall be
over before it is noticed. The rest is the daemon itself; it answers in the command's own words (``client.cli``).
"""
