"""What every policy has in common: rules by name, their settings, and what they find."""
