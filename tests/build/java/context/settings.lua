return { name = "service" }
