#include <stdio.h>
#include <unistd.h>

int main(void)
{
    printf("hello %s from uid %d\n", VERSION, (int)getuid());
    return 0;
}
