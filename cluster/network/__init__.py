"""Who reaches whom: ``flows`` is the table, ``policies`` the NetworkPolicies that make it so. What is not in it is denied."""
