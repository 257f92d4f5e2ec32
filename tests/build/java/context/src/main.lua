print("runtime " .. _VERSION)
