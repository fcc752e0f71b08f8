"""Keys: region key → scope key → leaf key. Only this package and the sealed formats know how they are wrapped."""
