"""Feature views: what of the tables was known about an entity at a moment, offline."""
