import os
import greeter


def main():
    print(os.environ["GREETING"], "greeter", greeter.VERSION, "as uid", os.getuid())
