"""What a prompt asks for: its task, and how much work it is."""
