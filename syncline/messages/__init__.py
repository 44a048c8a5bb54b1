"""What travels on queues and topics: versioned msgpack."""
