"""The ports on AWS and Redis; foreign errors become ours here."""
