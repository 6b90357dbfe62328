"""The rules that hold for a request, and how they are applied to what goes in and what comes out."""
