"""The AWS API: Amazon Inspector's 37 operations over AWS JSON 1.1, as its clients speak it.

In: signed HTTP requests. Out: replies that the AWS CLI, SDKs and Terraform take for Inspector's.
``protocol`` is the way of a request. Names of AWS keep AWS's spelling in here and nowhere else.
"""
