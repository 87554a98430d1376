"""What a model costs and sees, without computing anything."""
