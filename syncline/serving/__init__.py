"""What every service is served with: its life, HTTP, sign-in, consuming queues, logs and metrics."""
