"""How people and programs reach the suite."""
