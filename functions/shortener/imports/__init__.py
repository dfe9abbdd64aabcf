"""What other shorteners export, and what we do ourselves: one module per source, each with `rows`.

Pure: they take an export's text and give its links as POST /v1/links takes them.
"""
