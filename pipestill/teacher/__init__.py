"""What teachers give to students."""
