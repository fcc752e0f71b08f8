"""Tests of WebDAV, over the filesystem in memory."""
