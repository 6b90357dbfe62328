"""The suite under churn and faults for hours: does anything grow."""
