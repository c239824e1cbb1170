"""What people read of all experiments: tables, comparisons, figures and the HTML report."""
