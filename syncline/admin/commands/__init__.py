"""One module per group of commands; ``syncline/admin/app.py`` lists them."""
