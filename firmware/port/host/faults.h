/* How does a signal become a FAULT message? */
#ifndef HILNAS_HOST_FAULTS_H
#define HILNAS_HOST_FAULTS_H

void faults_start(void);

#endif
