"""A model brought to people in steps: what is declared, who gets which, and what stops it."""
