//! What is particular to RabbitMQ: finding it, losing it, being refused by it.
