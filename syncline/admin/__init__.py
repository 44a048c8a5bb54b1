"""The operator's command, ``syncline-admin``: looks at a stack's tables, bucket and queues, and mends them."""
