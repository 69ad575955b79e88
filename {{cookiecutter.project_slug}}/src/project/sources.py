"""Where rows come from, where files in data/raw are not enough."""
