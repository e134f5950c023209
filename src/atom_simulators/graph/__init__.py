"""A strict stand-in for the mail part of Microsoft Graph and for the sign-in that goes with it.

It knows mailboxes as files of Graph messages, and the service's rules: what the real service refuses it
refuses, with the same status, code, message and shape. What is only hearsay about the real service is a switch
in `Quirks`. It must not know the product, and no product code is used here.
"""
