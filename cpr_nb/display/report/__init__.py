"""A session as one static page, to share with people who have no Jupyter."""
