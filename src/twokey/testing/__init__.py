"""For authors of destinations: the contract suite that every destination passes, and fakes of the services.

``twokey.testing.contract`` is the suite (it needs pytest), ``twokey.testing.server`` the base of all fakes,
``twokey.testing.fakes`` has one module for each service.
"""
