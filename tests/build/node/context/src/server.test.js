throw new Error("a test is not for the image")
