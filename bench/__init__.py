"""How fast the server is, measured against its peers on the same machine in the same run: `make bench`."""
