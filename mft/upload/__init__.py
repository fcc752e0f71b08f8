"""The one way in: (case, name, stream) → upload → receipt. Every protocol ends here."""
