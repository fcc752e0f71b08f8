"""The application's own routes beside the files: receipts, health."""
