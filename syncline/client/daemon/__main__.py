"""``python -m syncline.client.daemon --ready-to FD``: what ``syncline start`` starts."""

from __future__ import annotations

import sys

from syncline.client.daemon.life import main

if __name__ == "__main__":
    sys.exit(main(int(sys.argv[sys.argv.index("--ready-to") + 1])))
