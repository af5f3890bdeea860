//! What is particular to the embedded broker: its file, its lock, the clock.
