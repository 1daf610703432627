"""For those who write destinations: the contract suite that every one passes, and fakes that behave like the services.

``twokey.testing.contract`` has the suite (it needs pytest), ``twokey.testing.server`` what all fakes are made of,
``twokey.testing.fakes`` one module for each service.
"""
