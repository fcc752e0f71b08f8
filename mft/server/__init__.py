"""The running house: a supervisor and the processes that it keeps. The only place that names every part."""
