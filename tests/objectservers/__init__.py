"""Object stores to test against: a real one (Ceph), emulators of S3 and Azure, and a proxy that is out of order."""
