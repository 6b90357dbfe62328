"""What is known of models before anybody has configured them: files of data, in ``models`` and where the configuration says.

No code knows a model's name. A file holds entries by the provider's own names; later files complete and override earlier
ones, and what the configuration says of a model stands over all of them.
"""
