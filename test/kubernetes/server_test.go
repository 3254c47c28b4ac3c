package kubernetes

import (
	"fmt"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	"k8s.io/kubernetes/pkg/apis/apps"
	_ "k8s.io/kubernetes/pkg/apis/apps/install" // each tells the scheme its kinds and defaults
	appsvalidation "k8s.io/kubernetes/pkg/apis/apps/validation"
	"k8s.io/kubernetes/pkg/apis/autoscaling"
	_ "k8s.io/kubernetes/pkg/apis/autoscaling/install"
	autoscalingvalidation "k8s.io/kubernetes/pkg/apis/autoscaling/validation"
	"k8s.io/kubernetes/pkg/apis/batch"
	_ "k8s.io/kubernetes/pkg/apis/batch/install"
	batchvalidation "k8s.io/kubernetes/pkg/apis/batch/validation"
	"k8s.io/kubernetes/pkg/apis/core"
	_ "k8s.io/kubernetes/pkg/apis/core/install"
	corevalidation "k8s.io/kubernetes/pkg/apis/core/validation"
	"k8s.io/kubernetes/pkg/apis/networking"
	_ "k8s.io/kubernetes/pkg/apis/networking/install"
	networkingvalidation "k8s.io/kubernetes/pkg/apis/networking/validation"
	"k8s.io/kubernetes/pkg/apis/policy"
	_ "k8s.io/kubernetes/pkg/apis/policy/install"
	policyvalidation "k8s.io/kubernetes/pkg/apis/policy/validation"
)

func init() {
	if err := monitoring.AddToScheme(legacyscheme.Scheme); err != nil {
		panic(err)
	}
}

// read is what an API server does first, with fieldValidation=Strict: of a kind that is known, no unknown field, none twice.
func read(text []byte) (runtime.Object, error) {
	o, _, err := serializer.NewCodecFactory(legacyscheme.Scheme, serializer.EnableStrict).UniversalDeserializer().Decode(text, nil, nil)
	if err != nil {
		return nil, fmt.Errorf("%w in:\n%s", err, text)
	}
	return o, nil
}

// refusals are what an API server says of objects that are new to it: defaults are set, then its own validation runs. Not here: admission, custom resources' schemas, and what depends on
// other objects.
func refusals(c *cluster) (faults []string) {
	for _, o := range c.objects {
		if _, ours := o.(*monitoring.PodMonitor); ours {
			continue // of another server; it was read strictly
		}
		versioned := o.DeepCopyObject()
		if m := versioned.(meta.Object); m.GetNamespace() == "" && versioned.GetObjectKind().GroupVersionKind().Kind != "Namespace" {
			m.SetNamespace("default") // as kubectl does
		}
		legacyscheme.Scheme.Default(versioned)
		kind := versioned.GetObjectKind().GroupVersionKind()
		internal, err := legacyscheme.Scheme.ConvertToVersion(versioned, runtime.InternalGroupVersioner)
		if err != nil {
			faults = append(faults, err.Error())
			continue
		}
		for _, err := range validate(internal) {
			faults = append(faults, fmt.Sprintf("%s %s: %v", kind.Kind, versioned.(meta.Object).GetName(), err))
		}
	}
	return faults
}

func validate(o runtime.Object) field.ErrorList {
	pods := corevalidation.PodValidationOptions{}
	switch o := o.(type) {
	case *apps.StatefulSet:
		return appsvalidation.ValidateStatefulSet(o, pods)
	case *apps.Deployment:
		return appsvalidation.ValidateDeployment(o, pods)
	case *batch.Job:
		// The server makes the selector of a new Job: what a CronJob holds has none either.
		return batchvalidation.ValidateJobTemplateSpec(&batch.JobTemplateSpec{ObjectMeta: o.ObjectMeta, Spec: o.Spec}, nil, pods)
	case *batch.CronJob:
		return batchvalidation.ValidateCronJobCreate(o, pods)
	case *core.Service:
		if o.Spec.ClusterIP == core.ClusterIPNone {
			o.Spec.ClusterIPs = []string{core.ClusterIPNone} // the server fills it in
		}
		return corevalidation.ValidateServiceCreate(o)
	case *core.ConfigMap:
		return corevalidation.ValidateConfigMap(o)
	case *core.ServiceAccount:
		return corevalidation.ValidateServiceAccount(o)
	case *core.Namespace:
		return corevalidation.ValidateNamespace(o)
	case *policy.PodDisruptionBudget:
		return policyvalidation.ValidatePodDisruptionBudget(o, policyvalidation.PodDisruptionBudgetValidationOptions{})
	case *autoscaling.HorizontalPodAutoscaler:
		return autoscalingvalidation.ValidateHorizontalPodAutoscaler(o, autoscalingvalidation.HorizontalPodAutoscalerSpecValidationOptions{})
	case *networking.NetworkPolicy:
		return networkingvalidation.ValidateNetworkPolicy(o, networkingvalidation.NetworkPolicyValidationOptions{})
	}
	return field.ErrorList{field.InternalError(nil, fmt.Errorf("no validation is known of %T", o))}
}
