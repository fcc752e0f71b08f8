"""What becomes of a case's files once it is closed: reading, retention, holds, destruction."""
