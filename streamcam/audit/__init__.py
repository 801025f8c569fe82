"""How far maps can be trusted: measured on a user's own pictures, beside baselines."""
