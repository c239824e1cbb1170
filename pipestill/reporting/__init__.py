"""The report on all experiments: tables, comparisons, figures and the HTML report."""
