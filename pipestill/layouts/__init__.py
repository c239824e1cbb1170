"""Layouts: how a task's raw data lie, become records, are divided and cropped. No torch.

``rows``: one file that is divided; ``test_sets``: a training file and a file for each test set; ``documents``:
archives, folders and tables of texts. Each has its own settings under ``tasks.<name>.data``.
"""
