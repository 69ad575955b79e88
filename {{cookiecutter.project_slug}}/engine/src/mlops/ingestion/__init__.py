"""What comes into data/raw and data/tables, and what leaves them again."""
