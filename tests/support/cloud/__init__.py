"""A small cloud in memory: DynamoDB, SQS, SNS, S3 and Secrets Manager as far as this project uses
them.

What it does not know it refuses with NotEmulated, which no handler survives: a simulation that
guesses proves nothing. tests/integration/test_conformance.py holds it to AWS's documentation.
"""
