"""What of the past was known about an entity: joined offline, and handed to online stores."""
