"""What people read: tables, figures, the HTML report and the model cards, all from the files of ``results/``."""
