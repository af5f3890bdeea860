//! Strict S3 and Azure Blob stand-ins on real sockets.
