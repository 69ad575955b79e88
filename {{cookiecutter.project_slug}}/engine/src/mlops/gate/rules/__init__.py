"""The rules, a noun a file. Every module of this folder is read: a rule of your own is one more."""
