"""Data directories as earlier releases left them."""
